-- question: how many images carry each quality flag
-- one row: one flag, with 0 images if no image has it, null if images were not examined; flags of
-- overruled header values only if an image has them
-- example: xray-mining sql sql/reports/archive_quality.sql
with
known as (
    select unnest([
        'blank', 'saturated', 'cut_off', 'inverted', 'border', 'not_frontal', 'burned_in',
        'low_resolution', 'impossible_age', 'bounded_age', 'unread_sex', 'several_ids',
        'undecoded_id', 'no_pixels',
        'overruled_bits', 'overruled_sign', 'overruled_samples', 'overruled_colour',
        'overruled_encoding', 'overruled_frames', 'overruled_rescale', 'overruled_lut',
        'overruled_window', 'overruled_padding', 'bytes_after_end'
    ]) as flag
),

found as (
    select
        flags.flag,
        count(*) as images,
        count(distinct images.patient_key) filter (
            where images.patient_source != 'none'
        ) as patients
    from images
    cross join unnest(images.quality_flags) as flags (flag)
    group by flags.flag
)

select
    known.flag,
    case
        when
            found.images is not null
            or known.flag in (
                'not_frontal', 'impossible_age', 'bounded_age', 'unread_sex', 'several_ids',
                'undecoded_id', 'no_pixels'
            )
            or (known.flag != 'burned_in' and exists (select 1 from pixels))
            -- letters: known if the sender or a detector stated it for some image
            or (
                known.flag = 'burned_in'
                and exists (
                    select 1 from images
                    where burned_in_text is not null
                )
            )
            then coalesce(found.images, 0)
    end as images,
    found.patients
from known
left join found on known.flag = found.flag
where
    found.images is not null
    or not (known.flag like 'overruled_%' or known.flag = 'bytes_after_end')
order by images desc nulls last, known.flag
