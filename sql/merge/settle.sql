-- question: which image rows of the parts are kept, and which repeat an earlier one
-- one row: one image row with its outcome and, unless it is rejected, the image kept for it
-- parameter: $bits integer = 12  hash bits that clearly different pictures differ in
-- example: run by `xray-mining merge`
create temp table settled as
with
-- files whose last event says that they vanished
gone_files as (
    select
        file_key,
        archive
    from raw_file_events
    group by file_key, archive
    having arg_max(event, run) = 'vanished'
),

ordered as (
    select
        raw_images.rowid as raw_row,
        raw_images.image_key,
        raw_images.archive,
        raw_images.shard,
        raw_images.pixel_digest,
        raw_images.perceptual_hash,
        gone_files.file_key is not null as gone,
        row_number() over (
            order by
                archive_order.archive_rank, raw_images.shard, raw_images.position,
                raw_images.frame, raw_images.file_key
        ) as place
    from raw_images
    inner join archive_order on raw_images.archive = archive_order.archive
    left join gone_files
        on
            raw_images.file_key = gone_files.file_key
            and raw_images.archive = gone_files.archive
),

-- the earliest row of an instance decides which picture it is
compared as (
    select
        *,
        first_value(place) over earliest as first_place,
        first_value(pixel_digest) over earliest as first_digest,
        bit_count(
            cast(xor(perceptual_hash, first_value(perceptual_hash) over earliest) as bit)
        ) as differing_bits
    from ordered
    window earliest as (
        partition by image_key order by place
    )
),

described as (
    select
        *,
        place = first_place
        or coalesce(pixel_digest = first_digest, false)
        or coalesce(differing_bits <= $bits, true) as same_picture
    from compared
),

-- the earliest row whose file exists represents the instance: a moved file vanishes at
-- its old path, and the row of its new path must then be kept
by_instance as (
    select
        *,
        first_value(place) over (
            partition by image_key order by same_picture desc, gone, place
        ) as kept_place
    from described
),

by_pixels as (
    select
        image_key,
        first_value(image_key) over (
            partition by coalesce(first_digest, image_key) order by first_place
        ) as keeper_key
    from by_instance
    where place = kept_place
)

select
    by_instance.raw_row,
    by_instance.place,
    by_instance.image_key,
    by_instance.archive,
    by_instance.shard,
    by_pixels.keeper_key,
    case
        when not by_instance.same_picture then 'uid_reused'
        when by_instance.place != by_instance.kept_place then 'same_instance'
        when by_pixels.keeper_key != by_pixels.image_key then 'same_pixels'
        else 'kept'
    end as outcome
from by_instance
inner join by_pixels on by_instance.image_key = by_pixels.image_key
