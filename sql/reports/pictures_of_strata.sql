-- question: which pictures represent each sex and ten-year band of age
-- one row: one patient's frontal picture without letters and without a quality flag (except
-- flags that do not concern how it looks)
-- parameter: $store text = ''  the pixel store
-- parameter: $least_patients integer = 10  strata of fewer patients are left out
-- parameter: $pictures integer = 4  of each stratum
-- parameter: $unexamined boolean = false  those too whose headers do not deny letters
-- parameter: $private text = ''  archives, with commas between, that show none unless $unexamined
-- example: read by `xray-mining archive-report`
with
fit as (
    select
        images.image_key,
        images.patient_key,
        images.patient_sex,
        cast(floor(images.age_years / 10) * 10 as integer) as age_from,
        md5(cast(images.image_key as varchar)) as lot
    from images
    inner join pixels on images.image_key = pixels.image_key and pixels.store = $store
    where
        images.view_position in ('PA', 'AP')
        and images.patient_source != 'none'
        and images.patient_sex in ('F', 'M')
        and images.age_years is not null
        and list_has_all([
            'low_resolution', 'overruled_bits', 'overruled_sign', 'overruled_samples',
            'overruled_colour', 'overruled_encoding', 'overruled_frames', 'overruled_rescale',
            'overruled_lut', 'overruled_window', 'overruled_padding', 'bytes_after_end'
        ], images.quality_flags)
        and coalesce(images.burned_in_text, if($unexamined, 'no', 'not said')) = 'no'
        and ($unexamined or not list_contains(string_split($private, ','), images.archive))
),

one_each as (
    select *
    from fit
    qualify
        row_number() over (partition by patient_key, patient_sex, age_from order by lot) = 1
),

drawn as (
    select
        patient_sex,
        age_from,
        image_key,
        count(*) over (partition by patient_sex, age_from) as patients,
        row_number() over (partition by patient_sex, age_from order by lot) as place
    from one_each
)

select
    patient_sex,
    age_from,
    patients,
    image_key
from drawn
where patients >= $least_patients and place <= $pictures
order by patient_sex, age_from, place
