-- question: how many patients of each stratum (sex, ten-year band of age) have a picture to show
-- one row: one band of one sex
-- example: xray-mining sql sql/reports/archive_strata.sql
with
pictured as (
    select
        images.*,
        (len(images.quality_flags) = 0 or images.quality_flags = ['low_resolution'])
        and coalesce(images.burned_in_text, 'no') = 'no' as fit
    from images
    where
        images.view_position in ('PA', 'AP')
        and images.patient_sex in ('F', 'M')
        and images.age_years is not null
        and images.image_key in (select pixels.image_key from pixels)
)

select
    patient_sex,
    cast(floor(age_years / 10) * 10 as integer) as age_from,
    count(*) as images,
    count(distinct patient_key) filter (where fit) as patients,
    count(*) filter (where not fit) as left_out,
    count(*) filter (where fit and burned_in_text is null) as not_looked_at
from pictured
group by all
order by patient_sex, age_from
